mkdir in in/d
echo a > in/a.txt
chmod 640 in/a.txt
echo b > in/d/b.txt
printf "FROM scratch\nCOPY a.txt d* /x/\nCOPY d /x/d\n" > in/Dockerfile
rm -f Dockerfile
tar --owner=77 --group=77 --numeric-owner -C in -czf context.tar .
