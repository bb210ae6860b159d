"""Every case, from the files that hold them."""

import cases_decoders
import models_cases

CASES = models_cases.CASES | cases_decoders.CASES
