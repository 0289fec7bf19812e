"""FHIR R4 as a source of stays."""

from pipelines.ingest.fhir.source import FhirSource as FhirSource
from pipelines.ingest.fhir.source import open_source as open_source
