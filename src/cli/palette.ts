/** What a stretch of text means; colours follow from it. */
export type Role = 'run' | 'cancel' | 'warning' | 'error' | 'dim' | 'bold' | 'caret';

/** Puts a text into the colour of a role, or leaves it as it is. */
export type Palette = (role: Role, text: string) => string;

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULTS: Readonly<Record<Role, string>> = {
  run: '34',
  cancel: '33',
  warning: '33',
  error: '31',
  dim: '2',
  bold: '1',
  caret: '31',
};
const NAMED: Readonly<Record<string, string>> = {
  black: '30',
  red: '31',
  green: '32',
  yellow: '33',
  blue: '34',
  magenta: '35',
  cyan: '36',
  white: '37',
  lightblack: '90',
  lightred: '91',
  lightgreen: '92',
  lightyellow: '93',
  lightblue: '94',
  lightmagenta: '95',
  lightcyan: '96',
  lightwhite: '97',
};

/** Leaves every text as it is. */
export const plainPalette: Palette = (_role, text) => text;

/**
 * The colours for a stream: none unless it is a terminal, nor where NO_COLOR is set (no-color.org).
 * BUILDKIT_COLORS (`run=green:warning=yellow:error=red:cancel=255,165,0`) changes them; what cannot be read there is passed over.
 */
export function openPalette(stream: { readonly isTTY?: boolean | undefined }, env: Environment): Palette {
  if (stream.isTTY !== true || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb') return plainPalette;
  const codes = { ...DEFAULTS, ...parseColours(env['BUILDKIT_COLORS'] ?? '') };
  return (role, text) => (text === '' ? text : `\u001B[${codes[role]}m${text}\u001B[0m`);
}

function parseColours(text: string): Partial<Record<Role, string>> {
  const colours: Partial<Record<Role, string>> = {};
  for (const entry of text.split(':')) {
    const [role = '', colour = ''] = entry.split('=');
    const rgb = /^(\d{1,3}),(\d{1,3}),(\d{1,3})$/.exec(colour);
    const code = rgb === null ? NAMED[colour.toLowerCase()] : `38;2;${rgb.slice(1).join(';')}`;
    if (code !== undefined && isRole(role)) colours[role] = code;
  }
  return colours;
}

function isRole(name: string): name is Role {
  return Object.hasOwn(DEFAULTS, name);
}
