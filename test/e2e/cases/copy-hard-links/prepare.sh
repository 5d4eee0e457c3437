echo one > tree/a
ln tree/a tree/b
