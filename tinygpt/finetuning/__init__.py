"""What comes after pretraining: a trained model learns a task."""
