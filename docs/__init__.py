"""Generates what repeats the settings and the schema: `plugin.yaml`, `meltano.yml`, READMEs."""
