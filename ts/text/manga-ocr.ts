import { SPACE } from './python-text.js';

const SPACES = new RegExp(`[${SPACE}]+`, 'gu');

/** Half-width katakana from U+FF61 on and what each stands for. */
const HALF_WIDTH_KANA = '｡｢｣､･ｦｧｨｩｪｫｬｭｮｯｰｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜﾝ';
const FULL_WIDTH_KANA =
  '。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン';
const KANA: ReadonlyMap<string, string> = new Map(
  Array.from(HALF_WIDTH_KANA, (half, i) => [half, FULL_WIDTH_KANA.charAt(i)]),
);

/** From half width to full width: a kana with its sound mark, a kana alone, or a character of ASCII. */
const NARROW = /[\uff73\uff76-\uff84\uff8a-\uff8e]\uff9e|[\uff8a-\uff8e]\uff9f|[\uff61-\uff9d]|[!-~]/gu;

function widen(narrow: string): string {
  const code = narrow.charCodeAt(0);
  if (code < 0x7f) return String.fromCharCode(code + 0xfee0);
  const plain = KANA.get(narrow.charAt(0)) ?? narrow;
  if (narrow.length === 1) return plain;
  // In Unicode a voiced kana follows its plain one, a half-voiced one the voiced one; ウ is the exception.
  if (plain === 'ウ') return 'ヴ';
  return String.fromCharCode(plain.charCodeAt(0) + (narrow.endsWith('\uff9e') ? 1 : 2));
}

/**
 * The text as the manga-ocr package gives it: no white space, … as three periods, runs of two or more ・ and . as that many
 * periods, then half-width characters (ASCII, digits, katakana) as full-width ones.
 */
export function postProcessMangaOcr(text: string): string {
  return text
    .replace(SPACES, '')
    .replaceAll('…', '...')
    .replace(/[・.]{2,}/gu, (run) => '.'.repeat(run.length))
    .replace(NARROW, widen);
}
