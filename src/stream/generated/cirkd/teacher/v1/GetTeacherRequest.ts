// Original file: proto/cirkd/teacher/v1/teacher.proto


export interface GetTeacherRequestInput {
}

export interface GetTeacherRequest {
}
