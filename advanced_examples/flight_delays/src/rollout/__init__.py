"""A new version meets real traffic: the router in front, the canary that steers it, and A/B."""
