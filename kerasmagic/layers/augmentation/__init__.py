"""Augmentation: images changed at random while a model trains, and what belongs to them with them."""

from kerasmagic.layers.augmentation.color import AutoContrast as AutoContrast
from kerasmagic.layers.augmentation.color import Equalization as Equalization
from kerasmagic.layers.augmentation.random_color import RandomBrightness as RandomBrightness
from kerasmagic.layers.augmentation.random_color import RandomColorDegeneration as RandomColorDegeneration
from kerasmagic.layers.augmentation.random_color import RandomColorJitter as RandomColorJitter
from kerasmagic.layers.augmentation.random_color import RandomContrast as RandomContrast
from kerasmagic.layers.augmentation.random_color import RandomGrayscale as RandomGrayscale
from kerasmagic.layers.augmentation.random_color import RandomHue as RandomHue
from kerasmagic.layers.augmentation.random_color import RandomSaturation as RandomSaturation
from kerasmagic.layers.augmentation.random_filter import RandomGaussianBlur as RandomGaussianBlur
from kerasmagic.layers.augmentation.random_filter import RandomInvert as RandomInvert
from kerasmagic.layers.augmentation.random_filter import RandomPosterization as RandomPosterization
from kerasmagic.layers.augmentation.random_filter import RandomSharpness as RandomSharpness
from kerasmagic.layers.augmentation.random_filter import Solarization as Solarization
from kerasmagic.layers.augmentation.random_geometry import RandomFlip as RandomFlip
from kerasmagic.layers.augmentation.random_geometry import RandomRotation as RandomRotation
from kerasmagic.layers.augmentation.random_geometry import RandomTranslation as RandomTranslation
from kerasmagic.layers.augmentation.random_geometry import RandomZoom as RandomZoom
