"""Texts to features: word counts, TF-IDF, sentence encoders, and views by word dropout."""
