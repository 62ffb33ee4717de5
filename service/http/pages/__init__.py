"""Pages for browsers, made on the server: signing in and out."""
