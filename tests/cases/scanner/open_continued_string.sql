SELECT E'ok'
  'not\';
