"""The sections of `report`."""
