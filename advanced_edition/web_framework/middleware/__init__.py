"""The ready layers of the onion, one file each. All are `layer(request, call_next)`."""
