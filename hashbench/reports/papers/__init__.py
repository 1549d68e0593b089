"""Results as tables for papers: text, Markdown, LaTeX, CSV."""
