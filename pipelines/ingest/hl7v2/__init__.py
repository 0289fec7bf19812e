"""HL7 v2 messages as a source of stays."""

from pipelines.ingest.hl7v2.source import Hl7v2 as Hl7v2
from pipelines.ingest.hl7v2.source import open_source as open_source
