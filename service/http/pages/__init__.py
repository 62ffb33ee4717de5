"""Pages for people's browsers: few, plain, made here, with no script but from this server. Not in the OpenAPI."""
