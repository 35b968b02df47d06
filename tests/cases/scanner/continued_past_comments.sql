SELECT E'first' -- a comment; between
  -- another; one

  'it\'s; continued';
