import { describeDifferences } from './differential-case.ts';

describeDifferences('COPY', [
  { says: 'COPY: a file', dockerfile: 'FROM busybox\nCOPY a /x\nRUN echo hi > /f\n', context: { a: 'hi\n' }, expected: { files: { '/x': 'file 644 0:0 "hi\\n"' } } },
]);
