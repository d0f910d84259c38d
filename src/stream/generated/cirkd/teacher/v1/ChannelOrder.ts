// Original file: proto/cirkd/teacher/v1/teacher.proto

export const ChannelOrder = {
  CHANNEL_ORDER_UNSPECIFIED: 'CHANNEL_ORDER_UNSPECIFIED',
  CHANNEL_ORDER_RGB: 'CHANNEL_ORDER_RGB',
  CHANNEL_ORDER_BGR: 'CHANNEL_ORDER_BGR',
} as const;

export type ChannelOrderInput =
  | 'CHANNEL_ORDER_UNSPECIFIED'
  | 0
  | 'CHANNEL_ORDER_RGB'
  | 1
  | 'CHANNEL_ORDER_BGR'
  | 2

export type ChannelOrder = typeof ChannelOrder[keyof typeof ChannelOrder]
