#!/usr/bin/python3
"""Writes opencv.flo by OpenCV's own codec (Debian's python3-opencv)."""
import cv2
import numpy as np

y, x = np.mgrid[0:3, 0:5].astype(np.float32)
cv2.writeOpticalFlow("opencv.flo", np.dstack([x + y / 4, x * y - 2.5]))
