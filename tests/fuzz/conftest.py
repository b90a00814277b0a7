"""The readers, and where what makes their sound files lies."""

import catalog  # noqa: F401 - it tells Python where to look
