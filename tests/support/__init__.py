"""What several tests share: running the tap, faults, Meltano projects, targets."""
