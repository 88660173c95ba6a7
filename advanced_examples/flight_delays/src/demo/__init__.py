"""The live demo of the defence: the service shown in five minutes, with a plan B."""
