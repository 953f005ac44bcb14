"""The cluster on paper: what a thousand machines do while they train one model, and how long."""
