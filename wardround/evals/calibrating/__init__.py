"""How a calibration is fitted on labelled consults, measured, and written down as a card."""
