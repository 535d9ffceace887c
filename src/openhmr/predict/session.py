"""Opening an ONNX file that ships or that a user trained."""

from pathlib import Path

import onnxruntime

from openhmr.errors import InputError


def open_session(path: str | Path, threads: int) -> onnxruntime.InferenceSession:
    """A CPU session of ``threads`` threads. Raises :class:`InputError` if ``path`` is missing or no ONNX
    model."""
    if not Path(path).is_file():
        raise InputError(
            f"{path} does not exist; give an .onnx file of `openhmr lab export`, or train one with `openhmr "
            f"lab train`"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Idle threads must not spin beside the user's own.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base but Exception
        raise InputError(
            f"{path} is not a usable ONNX model ({str(error)[:80]!r}); export it again"
        ) from None
