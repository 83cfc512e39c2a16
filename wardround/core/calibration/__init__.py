"""What a calibration says and how it is applied to one consult; numpy alone, and no label in sight."""
