/** What --help prints. docs/cli.md says more. */
export type CommandName = 'generate' | 'info' | 'devices';

const ved = `Usage: ved COMMAND

  generate IMAGE…   write the text a model reads in images
  info SOURCE       what a model folder or Hub id holds, and whether it loads
  devices           what this machine and this build can compute on

  --help, --version; 'ved COMMAND --help' for the options of one command`;

const generate = `Usage: ved generate IMAGE… [options]

IMAGE: a file, a folder (its image files, sorted by name, subfolders left out), a URL, or - for encoded bytes on standard input.

Model
  --model SOURCE         folder or Hub id; without it the bundled line reader
  --device D             auto, cpu, cuda, cuda:N
  --dtype T              auto, float32, bfloat16, float16 (CUDA), int8 (CPU)
  --threads N            compute threads
  --max-batch N          decoder rows held at once
  --revision R, --cache-dir DIR, --local-files-only
                         for Hub ids; HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are honoured
Images
  --batch N              images per model call (16)
  --max-pixels N         refuse larger images
  --image-backend B      pil (default) or torchvision: whose rounding is followed
Text
  --prompt TEXT          text the decoder continues
  --post-process NAME    token2json (Donut: JSON), nougat (Markdown), mangaOcr
  --grayscale            make images grey first (manga-ocr)
  --stop-on-repetition   end texts that repeat themselves (Nougat)
  --num-beams N, --max-new-tokens N, --num-return-sequences N, --length-penalty X, …
  --do-sample, --temperature X, --top-k N, --top-p X, --seed N
                         every option of docs/generation.md in kebab-case; lists as JSON
                         a negative value needs '=': --length-penalty=-1; --no-… turns a switch off
Output
  --json                 one JSON object per line and image
  --stream               print text while it is written (one beam)

Exit codes: 0 all images read, 1 some failed, 2 wrong usage, 3 the model could not be loaded, 130 interrupted`;

const info = `Usage: ved info SOURCE [--json] [--revision R] [--cache-dir DIR] [--local-files-only]

Reads config.json and the headers of the weight files; loads nothing. For a Hub id the small files are fetched, weights are not.
Exit codes: 0 described (supported or not), 2 wrong usage, 3 SOURCE could not be read, 130 interrupted`;

const devices = `Usage: ved devices [--json]

Names the processor's kernels and the CUDA devices, or the reason why CUDA is not used.
Exit codes: 0, 2 wrong usage, 3 the native library does not load`;

export const HELP = { ved, generate, info, devices } as const;
