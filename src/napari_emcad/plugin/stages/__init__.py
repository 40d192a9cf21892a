"""The Stages tab."""
