"""The catalogue of decoding methods: a file a method; `registry` lists them, `base` says what one is."""
