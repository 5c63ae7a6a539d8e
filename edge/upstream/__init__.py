"""Journal and history on their way to the head-end: publisher.py; what crosses the line: codec.py."""

from edge.upstream.publisher import Pace, StreamStatus, Upstream, UpstreamStatus

__all__ = ["Pace", "StreamStatus", "Upstream", "UpstreamStatus"]
