"""What the laptop is and allows: processor, memory, temperature and battery, signals."""
