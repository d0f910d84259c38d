// Original file: proto/cirkd/teacher/v1/teacher.proto


export interface DrainingInput {
  'graceMs'?: (number);
}

export interface Draining {
  'graceMs': (number);
}
