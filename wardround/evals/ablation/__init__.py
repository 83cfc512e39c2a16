"""What each safeguard is worth: simulated patients with corrupted evidence, each part on and off."""
