"""Computing on samples: WAV files, rates, Speex frames. No device is touched here."""
