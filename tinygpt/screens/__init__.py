"""What a person looks at: the live panel, reports, plans, diagnoses, the quickstart."""
