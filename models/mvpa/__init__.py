"""The MVPA transformer for intracranial EEG; importing it loads no weights and picks no device."""

from models.mvpa.attention import MVPAttention
from models.mvpa.checkpoint import load_checkpoint
from models.mvpa.config import MEDIUM, SMALL, MVPAConfig
from models.mvpa.encoder import SegmentEncoder
from models.mvpa.network import MVPFormer

__all__ = ["MEDIUM", "SMALL", "MVPAConfig", "MVPAttention", "MVPFormer", "SegmentEncoder", "load_checkpoint"]
