"""Every case, from the files that hold them."""

import cases_decoders
import cases_encoders
import models_cases

CASES = models_cases.CASES | cases_decoders.CASES | cases_encoders.CASES
