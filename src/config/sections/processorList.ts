/** Lists of processors as Linux writes them: "0-3,8". */

/** Four digits: the kernel's limit is 8192 processors. */
const PART = /^(\d{1,4})(?:-(\d{1,4}))?$/;

export function isProcessorList(text: string): boolean {
  return text.split(',').every((part) => {
    const [, first, last = first] = PART.exec(part) ?? [];
    return first !== undefined && Number(first) <= Number(last);
  });
}

/** In ascending order, each once. The text must be a list. */
export function processorsOf(text: string): number[] {
  const numbers = text.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  return [...new Set(numbers)].sort((one, other) => one - other);
}
