/** What a teacher takes of one stream's images: limits of the welcome, and pixels granted. */
import type { TeacherImage } from '../contract/teacher.js';
import type { Agreement } from './clientContract.js';

export class TeacherRoom {
  readonly #address: string;
  readonly #agreement: Agreement;
  #creditBytes: number;

  constructor(address: string, agreement: Agreement) {
    this.#address = address;
    this.#agreement = agreement;
    this.#creditBytes = agreement.uploadCreditBytes;
  }

  get maxInflightImages(): number {
    return this.#agreement.maxInflightImages;
  }

  /** Why such an image will never be taken; undefined when it will. */
  refusalOf({ height, width, rgb }: TeacherImage): string | undefined {
    const { maxImagePixels, uploadCreditBytes } = this.#agreement;
    if (height * width > maxImagePixels) {
      return `image: ${height}x${width} pixels, teacher ${this.#address} takes at most ${maxImagePixels}`;
    }
    if (rgb.length > uploadCreditBytes) {
      return `image: ${rgb.length} bytes, teacher ${this.#address} grants at most ${uploadCreditBytes}`;
    }
    return undefined;
  }

  holds({ rgb }: TeacherImage): boolean {
    return rgb.length <= this.#creditBytes;
  }

  spend({ rgb }: TeacherImage): void {
    this.#creditBytes -= rgb.length;
  }

  grant(bytes: number): void {
    this.#creditBytes += bytes;
  }
}
