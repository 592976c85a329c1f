"""What is asked of a filled portal: the pages and calls, and what each may cost."""
