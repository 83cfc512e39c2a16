"""One immutable event per act; everything shown or scored later is a fold of the log."""
