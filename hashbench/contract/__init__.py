"""What a run and a method or a quantizer owe each other, and the file that keeps a trained one."""
