"""The tables: one class a table, one instance a row.

What must always hold is a constraint here, so that no code path can store its opposite. Times are UTC
(`UtcDateTime`), values float64 (`Float64`).
"""

from db.rows.alerts import AlertEventRow as AlertEventRow
from db.rows.alerts import AlertRow as AlertRow
from db.rows.alerts import Condition as Condition
from db.rows.alerts import Evaluation as Evaluation
from db.rows.alerts import EventKind as EventKind
from db.rows.alerts import Priority as Priority
from db.rows.alerts import Suppression as Suppression
from db.rows.base import Row as Row
from db.rows.running import AuditRow as AuditRow
from db.rows.running import OutboxRow as OutboxRow
from db.rows.running import WorkerHeartbeatRow as WorkerHeartbeatRow
from db.rows.scores import ModelVersionRow as ModelVersionRow
from db.rows.scores import ScoreRow as ScoreRow
from db.rows.scores import SegmentScoreRow as SegmentScoreRow
from db.rows.scores import SegmentTracesRow as SegmentTracesRow
from db.rows.stays import UNSCORED_DATA as UNSCORED_DATA
from db.rows.stays import ObservationRow as ObservationRow
from db.rows.stays import QuarantineRow as QuarantineRow
from db.rows.stays import StayRow as StayRow
from db.rows.stays import SubjectRow as SubjectRow
