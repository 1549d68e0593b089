"""The contract between a run and a method or quantizer, and the file that keeps a trained one."""
