"""What methods share that train on features alone: centring, pairs, graphs of all rows."""
