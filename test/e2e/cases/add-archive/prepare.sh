mkdir -p made/in bz2 xz zst
echo f > made/in/file
chmod 640 made/in/file
ln made/in/file made/in/hard
ln -s file made/in/link
chmod 777 made
tar --owner=11 --group=22 --numeric-owner -C made -cf plain.tar .
tar -C made -czf zipped.tar.gz .
tar -cjf zipped.tar.bz2 bz2
tar -cJf zipped.tar.xz xz
tar --zstd -cf zipped.tar.zst zst
