"""What the end-to-end tests share: processes, origins, nodes of weir, and viewers made of plain sockets."""
