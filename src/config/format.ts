/** Formats a resolved config as YAML that can be read again. */
import { Document, isScalar, visit } from 'yaml';

/** Writes every key, including defaults; lists of plain values stay on one line. */
export function formatConfig(config: object): string {
  const document = new Document(config);
  visit(document, {
    Seq(_key, list) {
      if (list.items.every(isScalar)) list.flow = true;
    },
  });
  return document.toString({ lineWidth: 100, flowCollectionPadding: false });
}
