chmod 600 dir/sub/b.txt
chmod 700 dir/run dir/sub
ln -s run dir/link
